import { defineConfig } from 'vitest/config'

// Machines are noisy: a limit is there to end what hangs, not to judge what is slow.
const patience = { testTimeout: 300_000, hookTimeout: 400_000, teardownTimeout: 30_000 }

export default defineConfig({
  test: {
    // As many as a small machine has cores: much of a test is waiting for the disk.
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...patience,
          name: 'node',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/browser/**'],
          environment: 'node',
          pool: 'forks',
          // The whole program is imported once and not by each file: nothing of it lives outside of the application made.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...patience,
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          environment: 'node',
          pool: 'forks',
          // One Chromium at a time, and none beside the rest: two cores are soon full.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.{ts,js}'],
      exclude: [
        // They run before anything is installed, this coverage included.
        'src/cli/*.js',
        // It runs in worker threads, where coverage does not look.
        'src/database/worker.js',
        'src/database/{backup,archive}-worker.js',
        // A process of its own.
        'src/operations/restore-process.ts',
      ],
      reporter: ['text', 'html', 'json-summary'],
      reportsDirectory: 'coverage',
      // The ledger and its recorders are what everything rests on.
      thresholds: {
        lines: 90,
        'src/ledger/**': { lines: 100, branches: 100 },
        'src/campaigns/record.ts': { lines: 100, branches: 100 },
        'src/audience/record.ts': { lines: 100, branches: 100 },
        'src/audience/people.ts': { lines: 100, branches: 100 },
        'src/esp/inbox.ts': { lines: 100, branches: 100 },
        // What tracks promos: from the door to the disk and the counts.
        ...Object.fromEntries(
          [
            'record',
            'counts',
            'click-traces',
            'keeper',
            'spool',
            'sends',
            'link',
            'tracking-door',
            'redirect-door',
            'rate-limits',
            'metrics',
          ].map((name) => [`src/promos/${name}.ts`, { statements: 100, branches: 100, functions: 100 }]),
        ),
        'src/esp/buttondown/record.ts': { lines: 100, branches: 100 },
      },
    },
  },
})
