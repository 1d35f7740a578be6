package pauses

func TestIt(t *testing.T) { start(t).Pause() }
