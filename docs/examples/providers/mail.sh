#!/bin/sh
# Prints messages; has no acknowledgements.
read -r envelope
echo '{"status":"ready"}'
while read -r message; do
  echo "To: $(printf '%s' "$envelope" | sed 's/.*"to":"\([^"]*\)".*/\1/'), $message" >&2
done
