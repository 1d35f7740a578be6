package mutants

const sdk = "mp1/client"

// clientMutants are defects in the Mp1 client.
var clientMutants = []mutant{
	{name: "a link leads a token into the clear", file: sdk + "/liveness.go",
		old: `u.Scheme != c.origin.Scheme || `, new: ``,
		pkg: sdk, run: "TestTheSchemeOfAnHref"},
	{name: "a redirect is followed", file: sdk + "/client.go",
		old: `return http.ErrUseLastResponse }`, new: `return nil }`,
		pkg: sdk, run: "TestARefusalIsAProblem"},
	{name: "a client waits for ever", file: sdk + "/client.go",
		old: `Timeout: defaultTimeout, `, new: ``,
		pkg: sdk, run: "TestACallWithoutAnHTTPClient"},
	{name: "a platform that takes PUT no more is asked twice", file: sdk + "/liveness.go",
		old: `if refusesPatch(err) && q.method == http.MethodPatch {`, new: `if refusesPatch(err) {`,
		pkg: sdk, run: "TestAHeartbeatThatIsNotTakenByPUT"},
	{name: "a notification that failed counts as handled", file: sdk + "/notifications.go",
		old: `	if !taken {
		return
	}`, new: `	_ = taken`,
		pkg: sdk, run: "TestANotificationIsHandedOverOnce"},
	{name: "a repetition does not wait", file: sdk + "/notifications.go",
		old: `	if ended, ok := n.running[id]; ok {`, new: `	if ended, ok := n.running[id]; ok && false {`,
		pkg: sdk, run: "TestARepetitionWaits"},
	{name: "a WebSocket is opened wherever its URI leads", file: sdk + "/websocket.go",
		old: `	return c.resolve(u.String())`, new: `	return u, nil`,
		pkg: sdk, run: "TestAWebSocketIsOpenedOnly"},
	{name: "two receivers of one subscription go on taking it from each other", file: sdk + "/websocket.go",
		old: `return errors.Is(err, ErrReplaced) || `, new: `return `,
		pkg: sdk, run: "TestAnEndedSubscriptionEnds"},
	{name: "a function that takes long loses its connection", file: sdk + "/websocket.go",
		old: `		if before%2 != 0 {
			continue
		}`, new: ``,
		pkg: sdk, run: "TestALongFunctionKeeps"},
	{name: "another application's notification is handed over", file: sdk + "/notifications.go",
		old: `	if n.app != "" && !ofApplication(`, new: `	if false && !ofApplication(`,
		pkg: sdk, run: "TestATerminationIsHandedOver|TestWhatIsNoNotification"},
	{name: "a condition without an ETag is left out", file: sdk + "/conditions.go",
		old: `if c.asked && c.etag != "*" && !isETag(c.etag) {`, new: `if c.asked = c.asked && c.etag != ""; c.asked && c.etag != "*" && !isETag(c.etag) {`,
		pkg: sdk, run: "TestAConditionWithoutAnETag"},
	{name: "a slow list is given up", file: sdk + "/lists.go",
		old: `		l.silent.Reset(l.limit)
`, new: ``,
		pkg: sdk, run: "TestAListMayTakeLonger"},
	{name: "the caller's time is the platform's silence", file: sdk + "/lists.go",
		old: `		defer l.silent.Stop()
`, new: ``,
		pkg: sdk, run: "TestAListMayTakeLonger"},
	{name: "a limit is told by its status alone", file: sdk + "/errors.go",
		old: ` || p.limit && target == ErrLimit`, new: ``,
		pkg: sdk, run: "TestALimitIsOne"},
	{name: "a decoder stops at the first fault", file: "mp1/faults.go",
		old: `	if err == nil {
		return // before`, new: `	if err == nil || len(*f) > 0 {
		return // before`,
		pkg: "mp1", run: "TestEveryFaultOfADescription"},
	{name: "text that is no UTF-8 is changed without a word", file: "mp1/validate.go",
		old: `if !utf8.ValidString(v.String()) {`, new: `if false && !utf8.ValidString(v.String()) {`,
		pkg: "mp1", run: "TestADescriptionIsValidated"},
}
