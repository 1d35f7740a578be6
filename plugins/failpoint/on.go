//go:build failpoint

package failpoint

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// On guards every use.
const On = true

// Variable holds what happens where: point=action[;point=action...]. Each happens
// once. The actions are exit, panic, sleep (2 s), stop (SIGSTOP) and error.
const Variable = "MEP_FAILPOINTS"

// DelayVariable holds how long every write takes longer, as a Go duration.
const DelayVariable = "MEP_WRITE_DELAY"

var delay = sync.OnceValue(func() time.Duration {
	d, _ := time.ParseDuration(os.Getenv(DelayVariable)) // none: no delay
	return d
})

// Write takes as long as the environment wants a write of the store to take.
func Write() {
	if d := delay(); d > 0 {
		time.Sleep(d)
	}
}

// Armed says whether the environment wants something at a point.
func Armed(point string) bool {
	load.Do(read)
	mu.Lock()
	defer mu.Unlock()
	return actions[point] != ""
}

// ErrInjected is what the action error makes of a success.
var ErrInjected = errors.New("failpoint: injected")

var (
	load    sync.Once
	mu      sync.Mutex
	actions = map[string]string{}
)

// Hit carries out what the environment wants at a point.
func Hit(point string) error {
	load.Do(read)
	mu.Lock()
	action := actions[point]
	delete(actions, point)
	mu.Unlock()
	if action == "" {
		return nil
	}
	_, _ = syscall.Write(syscall.Stderr, []byte("failpoint "+point+": "+action+"\n")) // the log's queue would be lost
	switch action {
	case "exit":
		os.Exit(3)
	case "panic":
		panic("failpoint " + point)
	case "sleep":
		time.Sleep(2 * time.Second)
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "error":
		return ErrInjected
	}
	return nil
}

// read takes the environment in.
func read() {
	for one := range strings.SplitSeq(os.Getenv(Variable), ";") {
		if point, action, ok := strings.Cut(one, "="); ok {
			actions[point] = action
		}
	}
}
