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

// Variable is the environment variable that holds what happens at which point:
// point=action[;point=action...]. Each happens once. The actions are exit, panic, sleep
// (2 s), stop (SIGSTOP) and error.
const Variable = "MEP_FAILPOINTS"

// DelayVariable is the environment variable that holds by how much every write of the store
// is delayed, as a Go duration.
const DelayVariable = "MEP_WRITE_DELAY"

var delay = sync.OnceValue(func() time.Duration {
	d, _ := time.ParseDuration(os.Getenv(DelayVariable)) // none: no delay
	return d
})

// Write delays a write of the store as DelayVariable says.
func Write() {
	if d := delay(); d > 0 {
		time.Sleep(d)
	}
}

// Armed says whether a point has an action that has not happened yet.
func Armed(point string) bool {
	load.Do(read)
	mu.Lock()
	defer mu.Unlock()
	return actions[point] != ""
}

// ErrInjected is the error of a point whose action is error.
var ErrInjected = errors.New("failpoint: injected")

var (
	load    sync.Once
	mu      sync.Mutex
	actions = map[string]string{}
)

// Hit carries out the action of a point. It is called when the program passes there.
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

// read reads Variable.
func read() {
	for one := range strings.SplitSeq(os.Getenv(Variable), ";") {
		if point, action, ok := strings.Cut(one, "="); ok {
			actions[point] = action
		}
	}
}
