package agent

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// placeOf is the place in an agent's name.
func placeOf(t *testing.T, name string) string {
	t.Helper()
	place, run, ok := strings.Cut(name, ".")
	require.True(t, ok)
	require.Len(t, place, 22)
	require.Len(t, run, 22)
	return place
}

// Two agents that live never share a place, and who comes after a dead one has its.
func TestAPlaceIsOnesOwnAndOutlivesItsAgent(t *testing.T) {
	app := t.Name() + randomName()
	first, one := newAgentName(app, []string{"http://mep"})
	second, two := newAgentName(app, []string{"http://mep"})
	other, three := newAgentName(app, []string{"http://other"})
	defer func() { _ = three.Close() }()
	require.NotEqual(t, placeOf(t, first), placeOf(t, second))
	require.NotEqual(t, placeOf(t, first), placeOf(t, other))
	require.NoError(t, one.Close()) // what the kernel does when a process is gone
	again, four := newAgentName(app, []string{"http://mep"})
	require.Equal(t, placeOf(t, first), placeOf(t, again))
	require.NotEqual(t, first, again, "it is another run all the same")
	require.NoError(t, two.Close())
	require.NoError(t, four.Close())

	var held []string
	for range maxSlots {
		name, slot := newAgentName(app, []string{"http://mep"})
		defer func() { _ = slot.Close() }()
		held = append(held, placeOf(t, name))
	}
	name, slot := newAgentName(app, []string{"http://mep"})
	require.Nil(t, slot)
	require.NotContains(t, held, placeOf(t, name), "and beyond the slots it is random")
}

func TestAPlaceIsOfOneBootNamespaceApplicationAndSlot(t *testing.T) {
	names := map[string]bool{}
	for _, name := range []string{placeName("b", "n", "a", 0), placeName("c", "n", "a", 0), placeName("b", "o", "a", 0),
		placeName("b", "n", "b", 0), placeName("b", "n", "a", 1), placeName("b", "na", "", 0)} {
		names[name] = true
	}
	require.Len(t, names, 6)
}
