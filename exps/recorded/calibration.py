"""The recorded runs that profiles were fitted to; all others are held against the simulator."""

from __future__ import annotations

FIRST_SESSION = ("fcfs_overload",)
SECOND_SESSION = ("vtc_overload", "fcfs_real")
A100_RUN = "vtc_s4_pool35000_len512"
OF_VTC = (*FIRST_SESSION, *SECOND_SESSION, A100_RUN)
OF_FAIRSERVE = "vtc"
