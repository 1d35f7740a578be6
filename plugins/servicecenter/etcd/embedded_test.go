package etcd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// An election came up to 200 ms after all else, in which nobody was served.
func TestTheOnlyMemberDoesNotWaitForAnElection(t *testing.T) {
	dir := t.TempDir()
	before, _ := opened(t, dir)
	before.Close()
	core, said := observer.New(zap.InfoLevel)
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialClusterToken = identity.Name, Dir(dir), identity.Token
	cfg.ListenClientUrls, cfg.ListenPeerUrls = nil, nil
	cfg.TickMs, cfg.ElectionMs = 10_000, 50_000
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(core))
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	defer e.Close()
	campaign(t.Context(), e.Server)
	<-e.Server.ReadyNotify()
	var elections []string
	for _, line := range said.All() {
		if strings.Contains(line.Message, "MsgTimeoutNow") || strings.Contains(line.Message, "starting a new election") {
			elections = append(elections, line.Message)
		}
	}
	require.Len(t, elections, 2, "none by time: %v", said.All())
	require.Contains(t, elections[0], "MsgTimeoutNow")
}
