package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/conf"
)

// shells are those that complete can complete for.
func shells() []string { return []string{"bash", "zsh", "fish"} }

// complete prints the completion of a shell, which is made of the tables of commands and flags.
func complete(_ context.Context, p environment, _ conf.Config, g given) error {
	var text strings.Builder
	switch g.args[0] {
	case "bash":
		bashCompletion(&text)
	case "zsh":
		zshCompletion(&text)
	case "fish":
		fishCompletion(&text)
	default:
		return fmt.Errorf("SHELL must be of %s, not %+q", strings.Join(shells(), ", "), g.args[0])
	}
	_, err := io.WriteString(p.out, text.String())
	return err
}

// topic is what may follow a beginning of the command line: mepserver alone, or with a command.
type topic struct {
	path  string // "", "services", "app add"
	words []string
	flags []option
	files bool // its argument is a file
}

// topics are all of them, mepserver alone first.
func topics() []topic {
	root := topic{flags: append(serverFlags(), option{name: "help", toggle: true})}
	below := map[string][]string{}
	var all []topic
	for _, c := range commands() {
		first, second, two := strings.Cut(c.name, " ")
		if two {
			below[first] = append(below[first], second)
			if c.name != first && !slices.Contains(root.words, first) {
				root.words = append(root.words, first)
			}
		} else if !slices.Contains(root.words, first) {
			root.words = append(root.words, first)
		}
		t := topic{path: c.name, flags: append(slices.Clone(c.flags), option{name: "help", toggle: true}), files: slices.Contains(c.args, "FILE")}
		if !c.alone {
			t.flags = append(t.flags, local()...)
		}
		if c.name == "completion" {
			t.words = shells()
		}
		all = append(all, t)
	}
	for i := range all {
		if all[i].path == "help" {
			all[i].words = slices.Clone(root.words)
		}
		all[i].words = append(all[i].words, below[all[i].path]...)
	}
	return append([]topic{root}, all...)
}

// spelled is a flag as it is typed.
func spelled(o option) string {
	if len(o.name) == 1 {
		return "-" + o.name
	}
	return "--" + o.name
}

// names are the flags of a topic as they are typed.
func (t topic) names() (all []string) {
	for _, o := range t.flags {
		all = append(all, spelled(o))
	}
	return all
}

// valued are its flags that take a value, by what the value is.
func (t topic) valued() (files, free []string, chosen []option) {
	for _, o := range t.flags {
		switch {
		case o.toggle:
		case o.file:
			files = append(files, spelled(o))
		case o.values != nil:
			chosen = append(chosen, o)
		default:
			free = append(free, spelled(o))
		}
	}
	return files, free, chosen
}

const bashHead = `# Completion of mepserver for bash: source <(mepserver completion bash)
_mepserver() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= words= flags= files= IFS=$' \t\n'
  COMPREPLY=()
  if ((COMP_CWORD > 1)); then
    path=${COMP_WORDS[1]}
    if ((COMP_CWORD > 2)) && [[ $path == app ]]; then path="app ${COMP_WORDS[2]}"; fi
  fi
  case $path in
`

const bashTail = `  esac
  if [[ -n $files && $cur != -* ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words $flags" -- "$cur"))
  fi
}
complete -F _mepserver mepserver
`

func bashCompletion(out *strings.Builder) {
	out.WriteString(bashHead)
	writeCases(out, caseForm{root: `""|-*)`, path: "%q)", topic: "words=%q flags=%q files=%s", flag: "%s)", chosen: "words=%q flags="})
	out.WriteString(bashTail)
}

// caseForm is how a shell writes the cases of a topic and of the flag before the cursor, as formats.
type caseForm struct {
	root   string // of mepserver alone
	path   string // of a command's name
	topic  string // of its words, its flags, and whether it takes files
	flag   string // of flags
	chosen string // of the values of a flag
}

// writeCases writes a case for each topic, and in it one for each flag that takes a value.
func writeCases(out *strings.Builder, f caseForm) {
	for _, t := range topics() {
		label := f.root
		if t.path != "" {
			label = fmt.Sprintf(f.path, t.path)
		}
		fmt.Fprintf(out, "  %s\n    "+f.topic+"\n    case $prev in\n", label, strings.Join(t.words, " "), strings.Join(t.names(), " "), yes(t.files))
		files, free, chosen := t.valued()
		if len(files) > 0 {
			fmt.Fprintf(out, "    "+f.flag+" files=yes ;;\n", strings.Join(files, "|"))
		}
		if len(free) > 0 {
			fmt.Fprintf(out, "    "+f.flag+" return ;;\n", strings.Join(free, "|"))
		}
		for _, o := range chosen {
			fmt.Fprintf(out, "    "+f.flag+" "+f.chosen+" ;;\n", spelled(o), strings.Join(o.values, " "))
		}
		out.WriteString("    esac ;;\n")
	}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

const zshHead = `#compdef mepserver
# Completion of mepserver for zsh: source <(mepserver completion zsh)
_mepserver() {
  local prev=${words[CURRENT-1]} topic= given= files=
  local -a next flags
  if ((CURRENT > 2)); then
    topic=${words[2]}
    if ((CURRENT > 3)) && [[ $topic == app ]]; then topic="app ${words[3]}"; fi
  fi
  case $topic in
`

const zshTail = `  esac
  if [[ -n $files && $PREFIX != -* ]]; then
    _files
  else
    compadd -- $next $flags
  fi
}
if (( $+functions[compdef] )); then compdef _mepserver mepserver; fi
`

func zshCompletion(out *strings.Builder) {
	out.WriteString(zshHead)
	writeCases(out, caseForm{root: `(""|-*)`, path: "(%q)", topic: "next=(%s) flags=(%s) files=%s", flag: "(%s)", chosen: "next=(%s) flags=()"})
	out.WriteString(zshTail)
}

// fishCompletion has one line for each word and flag, with the condition under which it is offered.
func fishCompletion(out *strings.Builder) {
	out.WriteString("# Completion of mepserver for fish: mepserver completion fish | source\ncomplete -c mepserver -f\n")
	for _, t := range topics() {
		next, behind := "__fish_use_subcommand", "__fish_use_subcommand"
		if t.path != "" {
			next = `string match -qr "^mepserver ` + t.path + ` +[^ ]*\$" -- (commandline -pc)`
			behind = `string match -qr "^mepserver ` + t.path + ` " -- (commandline -pc)`
		}
		for _, w := range t.words {
			fmt.Fprintf(out, "complete -c mepserver -n '%s' -a %s\n", next, w)
		}
		if t.files {
			fmt.Fprintf(out, "complete -c mepserver -n '%s' -F\n", behind)
		}
		for _, o := range t.flags {
			fmt.Fprintf(out, "complete -c mepserver -n '%s' %s\n", behind, fishFlag(o))
		}
	}
}

func fishFlag(o option) string {
	kind := "-l "
	if len(o.name) == 1 {
		kind = "-s "
	}
	switch text := kind + o.name; {
	case o.toggle:
		return text
	case o.file:
		return text + " -r -F"
	case o.values != nil:
		return fmt.Sprintf("%s -x -a %q", text, strings.Join(o.values, " "))
	default:
		return text + " -x"
	}
}
