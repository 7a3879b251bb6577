import type { TestApp } from './app.js'

/** Every method and path that the application answers, as its routers say: `{ method: 'POST', path: '/lists/:id' }`. */
export function routesOf({ app }: Pick<TestApp, 'app'>): { method: string; path: string }[] {
  return walk((app as unknown as { router: { stack: Layer[] } }).router.stack)
}

interface Layer {
  route?: { path: string | string[]; methods: Record<string, boolean> }
  handle?: { stack?: Layer[] }
}

function walk(stack: Layer[]): { method: string; path: string }[] {
  return stack.flatMap(({ route, handle }) => {
    if (!route) return handle?.stack ? walk(handle.stack) : []
    const methods = Object.keys(route.methods).filter((method) => method !== '_all')
    return [route.path]
      .flat()
      .flatMap((path) => methods.map((method) => ({ method: method.toUpperCase(), path: String(path) })))
  })
}

/** A path of a route with this in the place of each parameter. */
export const pathWith = (path: string, parameter: string) => path.replaceAll(/[:*]\w+/g, parameter)
