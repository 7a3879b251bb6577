/** Known to everybody, which is why the demo listens to this machine alone. */
export const guest = { username: 'maren', full_name: 'Maren', password: 'paper boats at noon' }
