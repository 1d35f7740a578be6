package edgegallery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/edgegallery/kong"
	"github.com/mec-liveness/mepserver/plugins/edgegallery/mepauth"
	"github.com/mec-liveness/mepserver/plugins/edgegallery/pin"
)

// newMepauth makes the client for mepauth; nil: there is none.
func newMepauth(h *plugins.Host, left *prometheus.GaugeVec, clock func() (plugins.Instant, int64)) (*mepauth.Client, error) {
	if h.Config.EdgeGallery.Mepauth == "" {
		return nil, nil
	}
	web, err := partClient(h, newPartCertificate(h, left, "mepauth", "applications discover nothing"), mepauth.Timeout)
	if err != nil {
		return nil, err
	}
	return mepauth.New(mepauth.Options{URL: h.Config.EdgeGallery.Mepauth, Client: web, Clock: clock, Log: h.Log}), nil
}

// newGateway has services published at the gateway; nil: there is none. Nobody is answered before
// the stored names are loaded: consumers would be shown others.
func newGateway(h *plugins.Host, left *prometheus.GaugeVec, clock func() (plugins.Instant, int64)) (*kong.Gateway, error) {
	c := h.Config.EdgeGallery
	if c.Gateway.Admin == "" {
		return nil, nil
	}
	web, err := partClient(h, newPartCertificate(h, left, "gateway", "no service is published or changed at the gateway"), kong.Timeout)
	if err != nil {
		return nil, err
	}
	local := []string{h.Config.Server.Listen}
	if h.Address != nil {
		local = append(local, h.Address.String())
	}
	if u, err := url.Parse(c.Mepauth); err == nil && u.Host != "" {
		local = append(local, u.Host)
	}
	lists := h.Ready
	g := kong.New(kong.Options{Admin: c.Gateway.Admin, Public: c.Gateway.Public, Local: local, Pod: c.Site, Client: web, Store: h.Base, Rank: h.Base.Rank, Clock: clock, Log: h.Log,
		Ready: lists,
		Exists: func(ctx context.Context, id heartbeat.ID) (bool, error) {
			_, err := h.Engine.Get(ctx, id)
			if errors.Is(err, heartbeat.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		}})
	h.Ready = func() bool { return g.Loaded() && lists() }
	h.OnChange(g.Changed)
	h.Gateway = g
	h.Go(g.Follow)
	h.Go(g.Run)
	return g, nil
}

// partClient makes the client for one part of the platform.
func partClient(h *plugins.Host, shown *partCertificate, timeout time.Duration) (*http.Client, error) {
	c := h.Config.EdgeGallery
	web, err := pin.Client(pin.Options{CAFile: c.CAFile, CommonName: c.CommonName, Timeout: timeout, Ends: shown.seen, Changed: func(err error) {
		tags := openlog.Tags{"for": shown.part}
		if err != nil {
			tags["reason"] = err.Error()
			h.Log.Warn("edgegallery.caFile changed and cannot be used; what it held before is used on", openlog.WithTags(tags))
			return
		}
		h.Log.Info("edgegallery.caFile was read again", openlog.WithTags(tags))
	}})
	if err != nil {
		return nil, fmt.Errorf("edgegallery.caFile: %w", err)
	}
	return web, nil
}
