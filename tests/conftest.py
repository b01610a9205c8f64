"""One thread a process: small problems gain nothing from more, and the processes of a parallel run share the cores."""

import os

import torch

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start
