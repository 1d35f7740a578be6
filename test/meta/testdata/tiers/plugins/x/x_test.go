package x

import "syscall"

func TestIt(t *testing.T) { kill(syscall.SIGSTOP) }
