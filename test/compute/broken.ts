/** Cannot be loaded: what a thread that does not start would load. */
throw new Error("does not start")
