"""What coherence costs: for each strategy, how stale, how slow, how chatty and how available a fleet of any size is.

Closed forms say it for every size; the simulation checks them where it can follow every event. Both are shown, and where they
differ the page says so.
"""
