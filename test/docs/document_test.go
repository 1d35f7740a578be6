package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func fenced(lang, text string) string { return "```" + lang + "\n" + text + "```\n" }

func TestAMarkerSaysWhatBecomesOfItsBlock(t *testing.T) {
	blocks, faults := Parse("a.md", "# A\n<!-- run -->\n"+fenced("sh", "echo 1\n")+"<!-- prints -->\n"+fenced("text", "1\n")+
		"text\n<!-- run: server -->\n"+fenced("sh", "bin/mepserver\n")+"<!-- prints: server -->\n"+fenced("text", "ready …\n")+
		"<!-- stop: server -->\n"+fenced("mermaid", "a --> b\n")+"<!-- file: a/b.py -->\n"+fenced("python", "x\n\ny\n"))
	require.Empty(t, faults)
	require.Equal(t, []Block{
		{Line: 2, Do: "run", Lang: "sh", Text: "echo 1\n", Place: "a.md"},
		{Line: 6, Do: "prints", Lang: "text", Text: "1\n", Place: "a.md"},
		{Line: 11, Do: "run", Name: "server", Lang: "sh", Text: "bin/mepserver\n", Place: "a.md"},
		{Line: 15, Do: "prints", Name: "server", Lang: "text", Text: "ready …\n", Place: "a.md"},
		{Line: 19, Do: "stop", Name: "server", Place: "a.md"},
		{Line: 23, Do: "file", Name: "a/b.py", Lang: "python", Text: "x\n\ny\n", Place: "a.md"},
	}, blocks)
}

func TestABlockThatNothingRunsIsAFault(t *testing.T) {
	for text, want := range map[string]string{
		fenced("sh", "rm -rf x\n"):                                               "no marker stands above it",
		"<!-- run -->\n\n" + fenced("sh", "echo\n"):                              "has no block below it",
		"<!-- run: a -->\n":                                                      "has no block below it",
		"<!-- run:a -->\n" + fenced("sh", "x\n"):                                 "is no marker",
		"<!-- runs -->\n" + fenced("sh", "x\n"):                                  "no marker stands above it",
		"<!-- run -->\n" + fenced("go", "x\n"):                                   "run takes sh",
		"<!-- run -->\n" + fenced("", "x\n"):                                     "names no language",
		"<!-- run -->\n```sh\nx\n":                                               "never ends",
		"- x\n  ```sh\n  x\n  ```\n":                                             "at the edge",
		"~~~sh\nx\n~~~\n":                                                        "at the edge",
		"<!-- file -->\n" + fenced("go", "x\n"):                                  "needs a name",
		"<!-- prints -->\n" + fenced("text", "x\n"):                              "has no run above it",
		"<!-- prints: a -->\n" + fenced("text", "x\n"):                           "nothing runs in a terminal of the name a",
		"<!-- run: a -->\n" + fenced("sh", "x\n") + "<!-- prints -->\n```t\n```": "has no run above it",
	} {
		_, faults := Parse("a.md", text)
		require.NotEmpty(t, faults, text)
		require.Contains(t, faults[0].Text, want, text)
	}
}

func TestWhatIsPrintedMustBeAllThatIsShown(t *testing.T) {
	shown := Block{Text: "a … z\n…\nend\n"}.Printed()
	for _, ok := range []string{"a b z\nend\n", "a  z\nx\ny\nend\n"} {
		require.Regexp(t, shown, ok)
	}
	for _, no := range []string{"a b z\n", "a b\nz\nend\n", "a b z\nend\nmore\n", "x\na b z\nend\n", strings.Repeat("a", 3)} {
		require.NotRegexp(t, shown, no)
	}
	require.NotRegexp(t, Block{Text: "a.c\n"}.Printed(), "abc\n", "only … stands for anything")
}
