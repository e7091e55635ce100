import { fileURLToPath } from "node:url"
import { defineConfig, mergeConfig } from "vitest/config"
import project from "../../vitest.config.ts"

// The project's own configuration, run on tests that leak on purpose: what it must not let pass.
export default mergeConfig(
  { ...project, test: { ...project.test, include: [], reporters: [] } },
  defineConfig({
    root: fileURLToPath(new URL("../../..", import.meta.url)),
    test: { include: ["test/testkit/leaky/*.fixture.ts"], maxWorkers: 1 }
  })
)
