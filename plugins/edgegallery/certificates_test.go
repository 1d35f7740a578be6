package edgegallery

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// The installer's certificates last for a year, and then nothing is published or discovered: that
// is said weeks before, each day, and louder when it has come to that.
func TestACertificateOfTheSiteThatEndsIsWarnedOfForWeeks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSilentLog()
		p := &partCertificate{part: "gateway", without: "nothing is published", left: newCertificatesLeft()}
		go p.watch(t.Context(), log)
		const day = 24 * time.Hour
		time.Sleep(day)
		require.Zero(t, testutil.CollectAndCount(p.left), "no connection yet")
		p.seen(time.Now().Add(40 * day))
		time.Sleep(9*day + time.Hour)
		synctest.Wait()
		require.Empty(t, log.said())
		require.InDelta(t, (30*day + 23*time.Hour).Seconds(), testutil.ToFloat64(p.left.WithLabelValues("gateway")), lookEvery.Seconds())
		time.Sleep(10 * day)
		synctest.Wait()
		require.Len(t, log.said(), 10, "one a day")
		require.Contains(t, log.said()[0], "trust.cer), ends soon")
		p.seen(time.Now().Add(365 * day))
		time.Sleep(20 * day)
		require.Len(t, log.said(), 10, "there are new ones")
		p.seen(time.Now().Add(-time.Minute))
		time.Sleep(5*time.Hour - time.Minute)
		synctest.Wait()
		errors := log.said()[10:]
		require.Len(t, errors, 5, "each hour")
		require.True(t, strings.Contains(errors[0], "has ended"), errors[0])
		require.Negative(t, testutil.ToFloat64(p.left.WithLabelValues("gateway")))
	})
}
