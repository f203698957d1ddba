"""One run from request to record, read top down: plan, build, train, evaluate, record; and what is built of runs."""
