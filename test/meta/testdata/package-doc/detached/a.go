// Package detached is cut off from its clause by the next line.

package detached
