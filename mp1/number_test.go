package mp1

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Clients whose language has no integers write 60.0 for 60, and so does every Gson client
// that sends back a map that it has read.
func TestANumberWithoutAFractionIsAnInteger(t *testing.T) {
	for text, want := range map[string]int{
		"60": 60, "60.0": 60, "6e1": 60, "6.0e1": 60, "0.6E+2": 60, "600e-1": 60, "60.000000000000000000000": 60, "6000e-2": 60, "8.08e3": 8080,
		"0": 0, "-0": 0, "-0.0": 0, "0e0": 0, "0.0e-99999999999999999999": 0, "0e99999999999999999999": 0, "-0E9": 0,
		"1e5": 100000, "1e18": math.MaxInt32, "1e400": math.MaxInt32, "1e99999999999999999999": math.MaxInt32, "2147483648.0": math.MaxInt32, "2147483647.0": math.MaxInt32,
		"1" + strings.Repeat("0", 5000): math.MaxInt32, "1" + strings.Repeat("0", 5000) + "e-5000": 1,
	} {
		info, err := DecodeServiceInfo([]byte(strings.Replace(fullService, `"livenessInterval":10`, `"livenessInterval":`+text, 1)))
		require.NoError(t, err, text)
		require.Equal(t, want, *info.LivenessInterval, text)
	}
	for _, text := range []string{"60.5", "0.1", "-1", "-1.0", "-60", "-1e400", "1e-1", "1e-400", "1e-99999999999999999999", "60.00000000000000000000001", "6.05e1", `"60"`, "true", "[60]"} {
		_, err := DecodeServiceInfo([]byte(strings.Replace(fullService, `"livenessInterval":10`, `"livenessInterval":`+text, 1)))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, text)
		require.Equal(t, "livenessInterval", bad.Attribute, text)
	}
	port := func(text string) []byte {
		return []byte(strings.Replace(fullService, `{"uris":["http://h:1/x"]}`, `{"addresses":[{"host":"h","port":`+text+`}]}`, 1))
	}
	for text, want := range map[string]int{"8080.0": 8080, "8.08e3": 8080, "65535.0": 65535, "1": 1} {
		info, err := DecodeServiceInfo(port(text))
		require.NoError(t, err, text)
		require.Equal(t, want, info.TransportInfo.Endpoint.Addresses[0].Port, text)
	}
	for _, text := range []string{"0.0", "-0.0", "65536.0", "1e400", "1e18", "80.5", "-80.0"} {
		_, err := DecodeServiceInfo(port(text))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, text)
		require.Equal(t, "transportInfo.endpoint.addresses.port", bad.Attribute, text)
	}
}

func TestIntegersOfOtherPlatformsAreWrittenAsGoReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		`{"interval":60.0,"a":[6e1,-5.0,-0.0,1.5,1e400,1e30],"s":"60.0 \"6e1\" \\"}`: `{"interval":60,"a":[60,-5,0,1.5,1e400,1e30],"s":"60.0 \"6e1\" \\"}`,
		`{"a":100000000000000000000.0,"b":1e17}`:                                     `{"a":100000000000000000000.0,"b":100000000000000000}`,
		``:                                                                           ``,
		`"60.0`:                                                                      `"60.0`,
		`1e`:                                                                         `1e`,
		`-`:                                                                          `-`,
		`"\`:                                                                         `"\`,
	} {
		require.Equal(t, want, string(PlainNumbers([]byte(text))))
	}
}
