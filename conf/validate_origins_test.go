package conf

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOriginsAreWrittenAsBrowsersSendThem(t *testing.T) {
	for _, s := range []string{"https://console.example", "http://localhost:3000", "http://127.0.0.1:8080", "https://[2001:db8::1]:8443", "https://a-b.c:444"} {
		assert.True(t, isOrigin(s), s)
	}
	for _, s := range []string{"", "*", "null", "https://*", "https://*.example", "console.example", "//console.example", "https://", "https:console.example", "https://console.example/",
		"https://console.example/x", "https://console.example?x", "https://console.example#x", "https://u@console.example", "HTTPS://console.example", "https://Console.example",
		"https://console.example:443", "http://console.example:80", "https://console.example:", "https://console.example:99999999", "ftp://console.example", "file://", "https://a b",
		"https://[fe80::1%25eth0]", "https://console.example, https://b.example"} {
		assert.False(t, isOrigin(s), s)
	}
}

func TestEveryWrongOriginIsAFault(t *testing.T) {
	_, err := Load(Sources{Environ: []string{"MEP_SERVER_ORIGINS=https://good.example,*,null"}})
	assert.ErrorContains(t, err, "server.origins")
	assert.ErrorContains(t, err, `"*"`)
	assert.ErrorContains(t, err, `"null"`)
	assert.NotContains(t, err.Error(), "good.example")
}
