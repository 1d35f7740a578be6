package mp1

import (
	"errors"
	"strings"
	"testing"
)

func TestConfirmationsAreReadStrictly(t *testing.T) {
	for body, good := range map[string]bool{
		`{"indication":"READY"}`:                                               true,
		` {"x":1, "indication" : "READY"} `:                                    true,
		`{"AppReadyConfirmation":{"indication":"READY"}}`:                      true,
		`{"AppReadyConfirmation":null,"indication":"READY"}`:                   true,
		`{"AppReadyConfirmation":{"indication":"READY"},"indication":"READY"}`: false,
		`{"AppReadyConfirmation":{"Indication":"READY"}}`:                      false,
		`{"AppReadyConfirmation":"READY"}`:                                     false,
		`{"AppReadyConfirmation":{}}`:                                          false,
		`{"Indication":"READY"}`:                                               false,
		`{"indication":"READY","indication":"READY"}`:                          false,
		`{"indication":"ready"}`:                                               false,
		`{"indication":"NOT_READY"}`:                                           false,
		`{"indication":""}`:                                                    false,
		`{"indication":null}`:                                                  false,
		`{"indication":["READY"]}`:                                             false,
		`{"indication":true}`:                                                  false,
		`{}`:                                                                   false, `null`: false, `[]`: false, `"READY"`: false, ``: false, `{"indication":"READY"}{}`: false,
	} {
		err := DecodeReadyConfirmation([]byte(body))
		var bad *Invalid
		if good != (err == nil) || !good && !errors.As(err, &bad) {
			t.Errorf("%s: %v", body, err)
		}
		body = strings.NewReplacer("AppReadyConfirmation", "AppTerminationConfirmation", "Indication", "OperationAction", "indication", "operationAction", "READY", "TERMINATING").Replace(body)
		action, err := DecodeTerminationConfirmation([]byte(body))
		if good != (err == nil) || good && action != Terminating {
			t.Errorf("%s: %q %v", body, action, err)
		}
	}
	if action, err := DecodeTerminationConfirmation([]byte(`{"operationAction":"STOPPING"}`)); err != nil || action != Stopping {
		t.Error("whether it is the right one is not known here", action, err)
	}
}

func TestGracefulIsAWholeNumberOfSeconds(t *testing.T) {
	for query, want := range map[string]uint32{"": 0, "graceful=1": 1, "graceful=86400": 86400, "graceful=%31": 1, "graceful=007": 7} {
		if n, err := ParseGraceful(query); err != nil || n != want {
			t.Errorf("%q: %d %v", query, n, err)
		}
	}
	for _, query := range []string{"graceful", "graceful=", "graceful=0", "graceful=86401", "graceful=-1", "graceful=+1", "graceful=1.0", "graceful=1e3", "graceful=5s", "graceful= 5",
		"graceful=5&graceful=5", "graceful=5&x=1", "x=1", "Graceful=5", "graceful=5;x=1", "graceful=%zz", "graceful=99999999999999999999", "graceful=0x10", "graceful=1_0", "graceful=%EF%BC%95"} {
		n, err := ParseGraceful(query)
		var bad *Invalid
		if n != 0 || !errors.As(err, &bad) {
			t.Errorf("%q: %d %v", query, n, err)
		}
	}
}
