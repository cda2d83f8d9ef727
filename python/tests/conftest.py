"""What holds for all tests."""

import signal

# What a shell starts in the background ignores interrupts, and so does what that starts. Tests send some.
signal.signal(signal.SIGINT, signal.default_int_handler)
