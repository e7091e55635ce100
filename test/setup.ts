/**
 * Runs before each test file: a test that leaves a socket, a server, a timer or a process behind fails with its name.
 *
 * Set in `setupFiles` of `vitest.config.ts`; what a file opens in `beforeAll` is its baseline.
 */
import { noLeaks } from "troupe/testkit"
import { afterEach, beforeEach } from "vitest"

noLeaks({ beforeEach, afterEach })
