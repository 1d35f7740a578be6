package mp1

import "testing"

func TestACauseIsSaidInOneSentence(t *testing.T) {
	for want, c := range map[string]Cause{
		"registered ACTIVE by the application":                              {Kind: CauseRegistered, State: Active},
		"set INACTIVE by the application":                                   {Kind: CauseApplication, State: Inactive},
		"set by the application":                                            {Kind: CauseApplication},
		"a heartbeat came":                                                  {Kind: CauseHeartbeat, State: Active},
		"no heartbeat for 6 s (interval 2 s, window 6 s), decided by mep-0": {Kind: CauseSilence, By: "mep-0", WindowSeconds: 6, Interval: 2},
		"no heartbeat in time":                                              {Kind: CauseSilence},
		"drained by admin: disk is replaced":                                {Kind: CauseDrained, By: "admin", Text: "disk is replaced"},
		"undrained by an administrator":                                     {Kind: CauseUndrained, State: Suspended},
		"deleted by the application, or together with it":                   {Kind: CauseDeleted},
		"removed: SUSPENDED for too long":                                   {Kind: CauseRetention},
		"not kept by an earlier release":                                    {},
		"a kind of a later release":                                         {Kind: "a kind of a later release"},
	} {
		if got := c.Sentence(); got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}
