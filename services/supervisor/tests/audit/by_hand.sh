previous=$(printf '0%.0s' {1..64})
n=0
while IFS= read -r line; do
    n=$((n + 1))
    case $line in
        *"\"sequence\":$n,\"previous\":\"$previous\""*) ;;
        *) echo "record $n does not follow record $((n - 1))" ;;
    esac
    previous=$(printf %s "$line" | sha256sum | cut -d' ' -f1)
    case $line in *',"signature":"'*)
        printf %s "${line%,\"signature\":*}" > signed
        printf "$(printf %s "$line" | sed 's/.*,"signature":"//; s/"}$//; s/../\\x&/g')" > signature
        openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in signed -sigfile signature
    esac
done < trail.jsonl
