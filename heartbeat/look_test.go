package heartbeat

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever looks at a replica that does not hear a service is told the same as at the one that does,
// to a second, and that it is an estimate; nobody who lives is called late.
func TestAnyReplicaTellsWhoIsLateAndDiesNext(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(4), false), l.addReplica(brisk(4), false)
		time.Sleep(10 * time.Second)
		a.register("i")
		synctest.Wait()
		stop := a.beats(4*time.Second, "i")
		for range 100 {
			time.Sleep(370 * time.Millisecond)
			b.Look(t.Context())
			v, w := vitalsOf(t, a, "i"), vitalsOf(t, b, "i")
			require.True(t, w.Watched && w.Estimated && !w.Exact)
			require.False(t, v.Late || w.Late || v.Estimated)
			require.LessOrEqual(t, w.Deadline, v.Deadline)
		}
		stop()
		late := 0
		until(t, "it is SUSPENDED", func() bool {
			a.Look(t.Context()) // another replica may hear it by now
			b.Look(t.Context())
			v, w := vitalsOf(t, a, "i"), vitalsOf(t, b, "i")
			if v.Record.State != Active || !v.Watched || !w.Watched || v.Absent || w.Absent { // the lease has just ended
				return v.Record.State == Suspended
			}
			require.LessOrEqual(t, w.Deadline, v.Deadline)
			if v.Missed > 0 && w.Missed > 0 {
				require.Equal(t, [2]int64{v.Deadline, v.LastBeat}, [2]int64{w.Deadline, w.LastBeat})
			}
			if w.Late {
				require.True(t, v.Late)
				late++
			}
			return false
		})
		require.Greater(t, late, 10)
	})
}

// What was asked long ago is not taken for what is: a service that was late then may be back.
func TestAnOldLookCallsNobodyLate(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(4), false), l.addReplica(brisk(4), false)
		a.register("i")
		synctest.Wait()
		stop := a.beats(4*time.Second, "i")
		defer stop()
		b.LookAt(t.Context(), "i")
		require.True(t, vitalsOf(t, b, "i").Watched)
		time.Sleep(20 * time.Second)
		v := vitalsOf(t, b, "i")
		require.False(t, v.Watched || v.Late || v.Estimated)
		require.Zero(t, v.Deadline)
		b.LookAt(t.Context(), "nobody")
		b.LookAt(t.Context(), "i")
		require.True(t, vitalsOf(t, b, "i").Watched)
	})
}

// Who looks all the time costs the store a read for each interval and a half of a service, and a
// bounded number at once; where nobody looks there is none, and nobody asks for what he hears.
func TestALookCostsTheStoreLittle(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		var ids []ID
		for n := range mostLooks + 100 {
			ids = append(ids, ID(fmt.Sprint("i", n)))
			if _, err := a.Register(context.Background(), Record{ID: ids[n], Owner: "app", State: Active}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		stop := a.beats(9*time.Second, ids...)
		time.Sleep(10 * time.Second)
		asked := func(of func()) int {
			before := l.ages()
			of()
			return l.ages() - before
		}
		require.Zero(t, asked(func() { a.Look(t.Context()) }), "it hears them all")
		require.Equal(t, mostLooks, asked(func() { b.Look(t.Context()) }))
		require.Equal(t, 100, asked(func() { b.Look(t.Context()) }), "the others")
		require.Zero(t, asked(func() { b.Look(t.Context()); b.LookAt(t.Context(), "i0") }))
		n := asked(func() {
			for range 120 {
				time.Sleep(500 * time.Millisecond)
				b.Look(t.Context())
			}
		})
		require.Less(t, n, 8*len(ids), "in a minute")
		stop()
		l.extend() // another leader of etcd: nobody knows the age of a lease
		time.Sleep(16 * time.Second)
		require.Equal(t, mostLooks, asked(func() { b.Look(t.Context()) }))
		require.Equal(t, 100, asked(func() { b.Look(t.Context()) }))
		require.False(t, vitalsOf(t, b, "i0").Watched)
		require.Zero(t, asked(func() { b.Look(t.Context()) }), "it is not asked again at once")
	})
}
