package mp1

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// GatewayCall is what EdgeGallery's gateway tells of one request that it has passed on. The
// log that it comes from also has the caller's token, which is not read.
type GatewayCall struct {
	Service string // the gateway's name of the service; "": it knew none
	Method  string
	Path    string // at the service, without a query
	Began   int64  // by the gateway's clock, Unix milliseconds; 0: it did not say
}

// maxLogText bounds what is read of a call; what is longer is nobody's.
const maxLogText = 1 << 10

// DecodeGatewayCall reads an entry of the log of Kong's plugin http-log. Kong writes the bytes
// of headers as they came: what is no UTF-8 is replaced, and does not matter. A member that
// cannot be read is as good as absent. Its errors are *Invalid: it is no JSON object.
func DecodeGatewayCall(data []byte) (c GatewayCall, err error) {
	o, err := readDocument(bytes.ToValidUTF8(data, []byte("?")))
	if err != nil {
		return c, err
	}
	service, _ := o.object("service")
	request, _ := o.object("request")
	c.Service, c.Method = service.logText("name"), request.logText("method")
	c.Path, _, _ = strings.Cut(o.logText("upstream_uri"), "?")
	if n, ok := o.members["started_at"].(json.Number); ok {
		if ms, err := strconv.ParseFloat(string(n), 64); err == nil && ms > 0 && ms < math.MaxInt64/1e6 {
			c.Began = int64(ms)
		}
	}
	return c, nil
}

func (o object) logText(name string) string {
	s, err := o.text(name, maxLogText)
	if err != nil {
		return ""
	}
	return s
}
