"""Many runs in one task: rows, what is remembered of each, and the loop that starts and awaits them."""
