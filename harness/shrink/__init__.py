"""From a failure to the smallest one that still fails: histories are sliced, plans are reduced. Pure: no I/O, no clock."""
