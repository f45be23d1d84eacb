"""Many trainings on borrowed time: an ordered list, a slice of minutes, weights that travel home in small parts.

``icl-lab queue run | status | pack | join``; GPU_QUEUE.md shows a whole slice. One file each: jobs (the list), slices
(one slice from beginning to end), runner (divides its time), worker (one training in one process), speed (how many side
by side), results (what a run folder holds), status, packing, joining; locks (how they find each other).
"""
