package heartbeat

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var walkConfigs = []modelConfig{
	{name: "two replicas", policy: removing(brisk(1), 2*time.Second), replicas: 2, puts: puts,
		left: budget{beats: 8, puts: 2, deletes: 1, revokes: 3, pauses: 1, crashes: 1, fulls: 1, lost: 2, replies: 2, slow: 1, late: 2}},
	{name: "alone", policy: removing(brisk(1), 2*time.Second), replicas: 1, puts: puts,
		left: budget{beats: 8, puts: 3, deletes: 1, revokes: 3, pauses: 2, crashes: 2, fulls: 2, lost: 2, replies: 2, slow: 1, late: 1}},
	{name: "silences", policy: brisk(2), replicas: 1, silences: true, puts: []Update{putSame, putOther, putAsleep},
		left: budget{beats: 8, puts: 2, revokes: 2, pauses: 1, crashes: 4, fulls: 1, lost: 2, replies: 1, slow: 1, late: 1}},
	{name: "intervals", policy: between(1, 2), before: pointer(brisk(2)), replicas: 2, paced: true, puts: []Update{putShorter, putLonger},
		left: budget{beats: 10, puts: 3, revokes: 2, unheard: 2, lost: 1, replies: 1, slow: 1, late: 1}},
}

// TestModelWalks goes where the explorations do not reach: long walks by chance
// with many faults, each judged step by step and continued fairly at its end.
func TestModelWalks(t *testing.T) {
	walks, length := 4000, 120
	if raceEnabled || testing.Short() {
		walks = 300
	}
	if *modelFull {
		walks *= 50
	}
	seed := rand.Uint64()
	t.Logf("%d walks of up to %d steps per configuration, seed %d", walks, length, seed)
	for _, c := range walkConfigs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			m := newModel(c)
			steps, cut := 0, 0
			for range walks {
				w := m.begin()
				var path, choice []modelAction
				for len(path) < length && m.bad == "" {
					choice = choice[:0]
					m.actions(&w, func(d modelAction) { choice = append(choice, d) })
					if len(choice) == 0 {
						break
					}
					d := choice[r.IntN(len(choice))]
					path = append(path, d)
					w = m.do(w, d)
				}
				if m.bad == "" {
					m.checkFair(&w)
				}
				if strings.HasPrefix(m.bad, "MODEL") {
					m.bad = "" // the walk has outgrown the model; it ends here
					cut++
				}
				steps += len(path)
				if m.bad != "" {
					bad := m.bad
					t.Fatalf("%s\n%s", bad, replay(m, path))
				}
			}
			t.Logf("%d steps; %d walks outgrew the model", steps, cut)
			if cut > walks/2 {
				t.Error("most walks outgrow the model")
			}
		})
	}
}
