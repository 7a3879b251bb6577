/**
 * What guessing begins with. The first list are words that people lengthen with digits and signs ("Password2024!"),
 * the second whole passwords of ten characters and more. Lower case; made for Throughline from common knowledge.
 */
export const commonWords = new Set(
  `
  access account admin administrator adminadmin alexander amanda america andrea andrew angel anthony apple april
  arsenal ashley august autumn baby babygirl bailey banana barcelona baseball basketball batman beautiful benjamin
  berlin blink brandon broncos buster butterfly campaign carlos changeit changeme charles charlie cheese chelsea
  chicago chocolate chris christian christopher company computer contact cookie cowboys dallas daniel database david
  december default demo destiny diamond dolphin dragon eagles easter elephant elizabeth email england family february
  ferrari flower football forever france freedom friday friend friends fuckyou gandalf george germany ginger google
  guest hannah harley heather hello hockey hottie hunter iloveu iloveyou iloveyouso internet isabella january jasmine
  jennifer jessica jesus jordan joseph joshua july june justin killer lakers letmein letmeinnow liverpool login london
  love loveme loveyou lovely mailing manager manchester march marina marketing martin master matrix matthew
  maverick melissa mercedes michael michelle microsoft midnight monday monica monkey mother mustang mypassword
  naruto natasha newsletter newyork nicholas nicole ninja november october office orange owner parola pass passw
  passwd passphrase passwort password passwords patrick pepper peanut pokemon porsche princess private purple
  qwert qwerty qwertyuiop qwertz rainbow ranger rangers root samantha samsung saturday scooter secret secure security
  september server shadow silver slipknot snoopy soccer spiderman spring starwars steelers summer sunday sunshine
  superman superstar support sweety system taylor teacher temp temporary tennis test testing tester testtest thomas
  throughline thunder thursday tigger tinkerbell trustno tuesday user username victoria virginia wednesday welcome
  welcomehome whatever william winner winter wizard wordpress yankees yellow zxcvbn zxcvbnm asdf asdfgh asdfghjkl
  hallo willkommen sommer geheim schatz passord senha contrasena motdepasse bonjour azerty azertyuiop soleil doudou
  iloveme teamo teamomucho tequiero holahola estrella mariposa amigos nirvana metallica linkinpark blahblah
  abc abcd abcdef abcdefg aaa admin user operator postgres mysql oracle cisco linux windows ubuntu
  `
    .trim()
    .split(/\s+/),
)

export const commonPasswords = new Set(
  `
  1234567891 1234554321 0147258369 1234567899 1234567890a q123456789 123456789z 987654321a 123654789a 789456123a
  159753456a 12qwaszx34 qweasdzxc1 1qaz!qaz2wsx 3rjs1la7qe 18atcskd2w gwerty123456 motherlode leavemealone
  michaeljackson jonasbrothers volleyball sweetheart rockyou123 babygurl12 fernando12 mynameis123 linkedin12
  facebook12 contraseña1 1029384756 5647382910 qazwsxedcrfv
  1029384756 0192837465 5647382910 9876543210 0987654321 1122334455 1223334444 1357924680 2468013579 1472583690
  147258369a 123qweasdzxc qweasdzxc123 1q2w3e4r5t 1q2w3e4r5t6y 1q2w3e4r5t6y7u q1w2e3r4t5 q1w2e3r4t5y6 zaq12wsxcde3
  zaq1zaq1zaq1 zaq1xsw2cde3 1qaz2wsx3edc !qaz2wsx3edc 1qazxsw23edc qazwsxedcrfv qazwsxedc123 qazwsx12345 zaq!2wsx3edc
  asdf1234asdf asdfasdf1234 asdfghjkl123 asdfghjkl; qwer1234qwer qwerasdfzxcv qwertyasdfgh qwerty1qwerty qwertyqwerty
  abcd1234abcd abc123abc123 abc123456789 123abc456def a1b2c3d4e5 a1b2c3d4e5f6 a123456789 a1234567890 aa123456789
  aa12345678 a12345678910 123456789a 123456789abc 12345678910 123456789q 123456789qwe 12345qwert 12345qwerty
  123321123321 1234512345 1234567812345678 123123123123 112233445566 111222333444 11223344556677 010203040506
  102030405060 121212121212 131313131313 696969696969 9999999999a 007007007007 19841984 5201314520 woaini1314520
  woaini520 woaini1314 5201314woaini iloveyou1314 qq123456789 qq1234567890 wang123456 zxcvbnm123 zxcvbnm,./ zxcvbnmasd
  trustno1trustno1 letmein123 letmein2you thisispassword thisismypassword thisisapassword mypassword123 mypasswordis
  yourpassword nopassword nopasswords password1password passwordpassword passwordabc passw0rd123 p4ssw0rd123
  notpassword newpassword oldpassword newpassword1 changepassword changeme123 changemenow changethis changethispassword
  pleasechange defaultpassword password123456 password12345 administrator1 administrator rootroot123 rootpassword
  adminpassword adminadmin123 admin123admin admin12345 admin123456 superadmin superuser123 sysadmin123 testpassword
  test123test testtest123 test123456 test1234567 testtesttest guestguest welcome123 welcome1234 welcome12345
  welcometo1 welcomeback helloworld helloworld1 helloworld123 hellohello hello12345 hello123456 opensesame
  opensesame1 abracadabra abracadabra1 correcthorse correcthorsebatterystaple correct-horse-battery-staple
  trombone12 troubadour tr0ub4dor&3 hunter2hunter2 swordfish1 swordfish12 swordfish123
  iloveyou12 iloveyou123 iloveyou1234 iloveyouforever iloveyoubaby iloveyousomuch iloveyou2much ilovemyself
  ilovemymom ilovemydog ilovejesus jesuschrist jesusislord jesuslovesme godisgood godisgreat godislove
  blessed123 thankyoujesus inmemoryof princess123 princess12 princess01 sunshine123 sunshine12 football123 football12
  baseball123 basketball basketball1 basketball23 soccer12345 superman123 batman12345 spiderman1 spiderman123
  spongebob1 spongebob123 starwars123 starwars77 maytheforce pokemon123 pokemon1234 dragonball dragonballz
  dragonball1 naruto12345 narutouzumaki finalfantasy finalfantasy7 worldofwarcraft counterstrike callofduty
  callofduty4 minecraft1 minecraft12 minecraft123 fortnite123 playstation playstation2 playstation3 nintendo64
  gamecube12 motherfucker motherfucker1 fuckyou123 fuckyou1234 fuckoff123 asshole123 chocolate1 chocolate123
  strawberry strawberry1 blackberry blueberry1 watermelon watermelon1 pineapple1 butterfly1 butterfly123 tinkerbell1
  tinkerbell cinderella cinderella1 snowwhite1 hellokitty hellokitty1 hellokitty123 mickeymouse winniethepooh
  harrypotter harrypotter1 hermione123 lordoftherings gandalf123 rammstein1 metallica1 metallica123 slipknot666
  linkinpark linkinpark1 greenday123 ironmaiden ironmaiden1 guitarhero evanescence chelseafc1 chelsea123
  liverpool1 liverpool123 liverpoolfc manchester manchester1 manchesterunited manutd12345 barcelona1 barcelona10
  realmadrid realmadrid1 juventus123 galatasaray fenerbahce fenerbahce1907 besiktas1903 steelers123 cowboys123
  christopher christopher1 alexander1 alexander123 alexandra1 alexandria elizabeth1 elizabeth123 stephanie1
  jacqueline charlotte1 katherine1 catherine1 gabriella1 gabrielle1 michelle123 jennifer123 jessica123 jonathan1
  jonathan123 nathaniel1 sebastian1 sebastian123 maximilian maximilian1 valentina1 alejandra1 alejandro1 guadalupe1
  francesco1 konstantin wolfgang123 friedrich1 bundesliga schalke04 borussia09 deutschland deutschland1 schatzi123
  passwort123 passwort1234 hallo12345 hallo123456 hallowelt1 sommer2024 sommer2025 sommer2026 winter2024 winter2025
  winter2026 summer2024 summer2025 summer2026 spring2024 spring2025 spring2026 autumn2024 autumn2025 autumn2026
  january2026 november2026 december2026 october2026 washington washington1 california california1 philadelphia
  newyorkcity newyork123 losangeles sanfrancisco southcarolina lasvegas123 university computer123 computer12
  technology internet123 information management marketing123 accounting1 engineering electronics motorola123 blackberry1
  samsung123 samsunggalaxy microsoft1 microsoft123 windows123 windows2000 macintosh1 photoshop1 photography
  facebook123 facebook1234 myspace123 myspace1234 linkedin123 twitter123 youtube123 google12345 newsletter1
  newsletter123 mailchimp1 emailoctopus buttondown1 throughline1 throughline123 clicktracker letmeinplease whoknows123
  whatever123 nothing123 something1 everything1 forever123 foreveryoung foreverlove together123 friendship friendship1
  friends4ever bestfriend bestfriends bestfriends1 mybestfriend loveforever lovelovelove loveyou123 loveyou4ever
  myfamily123 mychildren grandmother grandfather mommyanddaddy daddysgirl daddysgirl1 babygirl123 babyboy123
  `
    .trim()
    .split(/\s+(?=\S)/),
)
