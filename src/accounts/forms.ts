import * as z from 'zod'
import { passwordComplaint } from './passwords.js'

/** Under which somebody logs in. Upper and lower case are one. */
export const Username = z
  .string('Give a name to log in with.')
  .trim()
  .toLowerCase()
  .min(1, 'Give a name to log in with.')
  .max(64, 'Keep the name under 65 characters.')
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{M}\p{N}._@+-]*$/u,
    'The name has letters, digits, dots, dashes and @, and begins with a letter or a digit.',
  )

const FullName = z.string().trim().max(120, 'Keep the full name under 121 characters.').default('')
const Email = z
  .union(
    [z.literal(''), z.email('Write an e-mail address such as ada@example.com, or leave it empty.').max(255)],
    {
      error: 'Write an e-mail address such as ada@example.com, or leave it empty.',
    },
  )
  .default('')
const EmailField = z.preprocess((text) => (typeof text === 'string' ? text.trim() : text), Email)

const Password = z.string('Choose a password.').min(1, 'Choose a password.')

/** Whoever makes an account: at the first start, on the people page, and from a terminal. */
export const AccountForm = z
  .object({ username: Username, full_name: FullName, email: EmailField, password: Password })
  .superRefine(({ username, password }, context) => {
    const complaint = passwordComplaint(password, { username })
    if (complaint) context.addIssue({ code: 'custom', path: ['password'], message: complaint })
  })

export const LoginForm = z.object({
  username: z.string('Write your name.').trim().toLowerCase().min(1, 'Write your name.').max(200),
  password: z.string('Write your password.').min(1, 'Write your password.'),
  remember: z.string().optional(),
})

export const ProfileForm = z.object({ full_name: FullName, email: EmailField })

/** @param username whose password it is */
export const PasswordForm = (username: string) =>
  z.object({
    current_password: z.string('Write the password you have now.').min(1, 'Write the password you have now.'),
    new_password: z.string('Choose a password.').superRefine((password, context) => {
      const complaint = passwordComplaint(password, { username })
      if (complaint) context.addIssue({ code: 'custom', message: complaint })
    }),
  })

export const TokenForm = z.object({
  name: z
    .string('Say what the token is for.')
    .trim()
    .min(1, 'Say what the token is for.')
    .max(80, 'Keep the name under 81 characters.'),
})
