/**
 * Three projects: `core` (functions of their input, to the last branch), `unit` (all else in one process or against single servers: it
 * waits more than it computes), then `e2e` (whole regions as processes), which starts when the machine is free of the others, builds
 * dist/ before, and runs one file at a time.
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    pool: "forks",
    coverage: {
      provider: "v8",
      include: ["replicator/core/**"],
      reporter: ["text"],
      thresholds: { branches: 100 },
    },
    projects: [
      {
        test: {
          name: "core",
          include: ["test/core/**/*.test.ts"],
          testTimeout: 180_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/core/**", "test/e2e/**"],
          testTimeout: 180_000,
          hookTimeout: 30_000,
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/e2e/build.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
