"""Network faults made by the kernel that carries the packets, through one agent container."""
