package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// Bodies as EdgeGallery's agent sends them, by what its configuration leaves out: its types
// have no absence, so that everything is there and empty.
func TestBodiesOfEdgeGallerysAgentAreTakenUnderCompat(t *testing.T) {
	t.Parallel()
	const (
		empty     = `"serCategory":{"href":"","id":"","name":"","version":""},"_links":{"self":{"liveness":""}},"consumedLocalOnly":false,"isLocal":false`
		transport = `"id":"","name":"","description":"","type":"","protocol":"","version":"","security":{"oAuth2Info":{"grantTypes":null,"tokenEndpoint":""}},"implSpecificInfo":{}`
	)
	compat, ours := mep.Start(t, "MEP_COMPAT=edgegallery"), mep.Start(t)
	services := "/mep" + mep.ServicesOf(appID)
	for name, body := range map[string]string{
		"no transport":           `"transportId":"","transportInfo":{` + transport + `,"endpoint":{"addresses":null}}`,
		"a label for it":         `"transportId":"Rest1","transportInfo":{` + transport + `,"endpoint":{"addresses":null}}`,
		"only addresses":         `"transportId":"Rest1","transportInfo":{` + transport + `,"endpoint":{"addresses":[{"host":"h","port":80}]}}`,
		"addresses and uris":     `"transportInfo":{` + transport + `,"endpoint":{"uris":["http://h"],"addresses":[{"host":"h","port":80}],"alternative":null}}`,
		"a part of a category":   `"serCategory":{"href":"","id":"c1"},"transportInfo":{` + transport + `,"endpoint":{"addresses":[]}}`,
		"nothing of all of this": `"serializer":"XML"`,
	} {
		service := `{"serName":"n","version":"v1","state":"ACTIVE","scopeOfLocality":"","livenessInterval":5,` + body
		if !strings.Contains(body, "serializer") {
			service += `,"serializer":"JSON"`
		}
		if !strings.Contains(body, "serCategory") {
			service += "," + empty
		}
		service += "}"
		a := compat.Want(201, "POST", services, service).Object(t)
		require.EqualValues(t, 60, a["livenessInterval"], name)
		self, _ := a["_links"].(map[string]any)["self"].(map[string]any)
		path, _ := self["liveness"].(string)
		require.True(t, strings.HasPrefix(path, services+"/"), "%s: %s", name, path)
		compat.Want(204, "PUT", path, `{"state":"ACTIVE"}`)
		ours.Want(400, "POST", services, service)
	}
	none := compat.Want(201, "POST", services, `{"serName":"n","version":"v1","state":"ACTIVE","serializer":"JSON","livenessInterval":0}`).Object(t)
	require.EqualValues(t, 0, none["livenessInterval"], "0 is none there")
	require.NotContains(t, none["_links"], "liveness")
	for _, refused := range []string{`"state":""`, `"serializer":""`, `"version":""`, `"serName":""`, `"livenessInterval":"5"`} {
		body := `{"serName":"n","version":"v1","state":"ACTIVE","serializer":"JSON"}`
		member, _, _ := strings.Cut(refused, ":")
		if i := strings.Index(body, member+":"); i >= 0 {
			end := i + strings.IndexAny(body[i:], ",}")
			body = body[:i] + refused + body[end:]
		} else {
			body = strings.Replace(body, "{", "{"+refused+",", 1)
		}
		compat.Want(400, "POST", services, body)
	}
}
