"""The journal: what a driver process knows of every operation, on disk at every moment, so that a killed run can be checked.

Each worker owns two files in the run's journal directory:

``worker-N.ops``
    One page with live counts, then one record of fixed size per operation. The file is memory-mapped: an invocation is written
    before it is sent, its completion goes into the same record, and both outlive ``kill -9`` because the page cache does. Each
    half of a record ends with the mark that makes it valid.
``worker-N.names``
    JSON lines for all that is rare: who the worker is, key names, error texts, stalls, oddities, how much space was claimed, the
    end. A line is written before the first record that refers to it.

The op id of record ``i`` of worker ``w`` of ``n`` is ``i * n + w``: unique without any agreement.

``kill -9`` leaves records up to some moment, the last perhaps without its mark, and lines up to some moment, the last perhaps
without its end. The reader takes exactly that for a history. Anything else, as a crash of the whole machine or a copy cut short
may leave it, is refused as damaged: a read of a write that was lost from the journal would pass for a value out of thin air.
"""

from harness.journal.reader import Oddity, read_counts, read_journals, read_oddities
from harness.journal.records import Counts
from harness.journal.writer import Journal

__all__ = ["Counts", "Journal", "Oddity", "read_counts", "read_journals", "read_oddities"]
