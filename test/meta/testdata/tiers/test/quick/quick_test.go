package quick

import "syscall"

func TestIt(t *testing.T) { kill(syscall.SIGTERM); w.pause(1); player.Pause(3) }
