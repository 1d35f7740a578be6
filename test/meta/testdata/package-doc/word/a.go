// TODO
package word
