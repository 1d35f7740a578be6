package servicecenter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

func TestWhatAStoreHoldsIsCountedAndWhatCannotBeReadIsNamed(t *testing.T) {
	c := contents{states: map[heartbeat.State]int{}}
	r := newRecord(t, "app-count")
	r.State = heartbeat.Suspended
	value, err := encodeRecord(&r)
	require.NoError(t, err)
	for key, value := range map[string]string{
		recordKey(r.ID): value, recordPrefix + "b": "{", subPrefix + "s": "?", cursorPrefix + "s": `{"schema":9}`, "/mep/else": "?",
		instancePrefix + "a/b": "{}", servicePrefix + "a": "{}",
	} {
		kv := kvAt(1)
		kv.Key, kv.Value = []byte(key), []byte(value)
		c.take(kv)
	}
	require.Equal(t, map[heartbeat.State]int{heartbeat.Suspended: 1}, c.states)
	require.Equal(t, []int{3, 1, 1, 1}, []int{c.unreadable, c.subscriptions, c.instances, c.services})
	require.Equal(t, cursorPrefix+"s", c.first)
}

func TestCheckSaysInOneLineWhyItCannotLook(t *testing.T) {
	var out strings.Builder
	dir := t.TempDir()
	require.ErrorContains(t, Check(filepath.Join(dir, "none"), &out), "cannot use the data directory: ")
	require.ErrorContains(t, Check(dir, &out), "there is no store in "+dir)
	lock, err := lockDir(dir)
	require.NoError(t, err)
	require.ErrorContains(t, Check(dir, &out), "another mepserver uses the data directory")
	require.NoError(t, lock.Close())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etcd", "member", "snap"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etcd", "member", "snap", "db"), nil, 0o600))
	err = Check(dir, &out)
	require.ErrorContains(t, err, "db is damaged: it is empty; restore a backup (docs/operations.md")
	require.NotContains(t, err.Error(), "\n")
	c := &Center{}
	err = c.openStore(t.Context(), Options{DataDir: dir, Quota: 1 << 30, Log: discard})
	require.ErrorContains(t, err, "db is damaged: it is empty; restore a backup", "and neither does a server start")
	require.Empty(t, out.String())
}
