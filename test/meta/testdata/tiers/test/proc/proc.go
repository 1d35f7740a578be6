package proc

import "syscall"

func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }
