"""Many shots, each an extraction of its own: on this machine or on a cluster. It adds no stage (docs/batch.md).

sources → what is asked for      work → one task in a process      local, cluster → where tasks run
drive → what is next             index → what is there, told from the takes      table → what a terminal shows
"""
