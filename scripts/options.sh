#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Reads our options as defined by the top Kconfig and the files that it sources.
#
# Of the Kconfig language, the supported parts are "config", "bool", "tristate", "default y|m|n",
# "depends on" without comparisons, "select" and "source". An existing kernel must already have
# everything that an option selects, so "select" is treated as "depends on".
#
# Usage: options.sh names	prints their names, without CONFIG_
#        options.sh help	describes them for `make help`
#
# check-kdir.sh sources this file for its functions.

option_names=()
declare -A option_type option_prompt option_default option_depends

# read_kconfig DIR FILE: fills the variables above from DIR/FILE; the paths in "source" lines
# are relative to DIR
read_kconfig() {
	local line name='' help=''
	while IFS= read -r line; do
		[[ $line =~ ^[[:space:]] ]] || help=''
		[[ -z $help ]] || continue
		read -r line <<<"$line"
		case $line in
		'source '*)
			line=${line#source \"}
			read_kconfig "$1" "${line%\"}"
			;;
		'config '*)
			name=${line#config }
			option_names+=("$name")
			option_default[$name]=n
			option_depends[$name]=''
			;;
		'bool '* | 'tristate '*)
			option_type[$name]=${line%% *}
			line=${line#* \"}
			option_prompt[$name]=${line%\"}
			;;
		'default '*) option_default[$name]=${line#default } ;;
		'depends on '*) option_depends[$name]+=${line#depends on }$'\n' ;;
		# SAMPLES builds nothing. Outside of the kernel tree the sample does not need it.
		'select SAMPLES') ;;
		'select '*) option_depends[$name]+=${line#select }$'\n' ;;
		help) help=1 ;;
		esac
	done <"$1/$2"
}

# holds EXPRESSION: returns whether EXPRESSION is true; the function is_on returns whether an option
# is on
holds() {
	local word words arithmetic=''
	read -ra words < <(sed -E 's/[()!]|&&|\|\|/ & /g' <<<"$1")
	for word in "${words[@]}"; do
		if [[ $word =~ ^[A-Z0-9_]+$ ]]; then
			is_on "$word" && word=1 || word=0
		fi
		arithmetic+=" $word"
	done
	((arithmetic))
}

# lacking NAME: prints the dependencies of option NAME that are off, or nothing if there are none
lacking() {
	local line term all=()
	while read -r line; do
		if [[ -z $line ]] || holds "$line"; then
			continue
		fi
		if [[ $line =~ [\|\!\(] ]]; then
			all+=("$line")
			continue
		fi
		for term in ${line//&&/ }; do
			is_on "$term" || all+=("CONFIG_$term")
		done
	done <<<"${option_depends[$1]}"
	local IFS=,
	printf '%s' "${all[*]}"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
	set -euo pipefail
	read_kconfig "$(dirname "${BASH_SOURCE[0]}")/.." Kconfig
	for name in "${option_names[@]}"; do
		case ${1:-} in
		names) printf '%s\n' "$name" ;;
		help)
			printf '  CONFIG_%s=%s\n      %s (%s)\n' "$name" "${option_default[$name]}" \
				"${option_prompt[$name]}" "${option_type[$name]}"
			;;
		*)
			printf 'usage: %s names|help\n' "$0" >&2
			exit 2
			;;
		esac
	done
fi
