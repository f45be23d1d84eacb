"""The judge: runs submissions where they can do no harm, and compares their answers where they cannot reach.

Stage 1 (`sandbox`, `inside`): bytes in, JSON out; the student's code runs under bubblewrap with no network, no files of
anybody's, no solutions, and limits on everything. Stage 2 (`judge`): after the sandbox is dead, its JSON is read
strictly and compared with the reference. The science of the course is not imported here.
"""
