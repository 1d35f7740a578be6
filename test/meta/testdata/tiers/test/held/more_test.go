package held

import "syscall"

var signal = syscall.SIGSTOP
