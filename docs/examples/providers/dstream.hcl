task "clock-to-file" {
  input {
    provider_path = "./clock.ts"
    config {
      every_ms = 10
      count    = 5
    }
  }
  output {
    provider_path = "./keep.py"
    config {
      path = "{{ env "KEEP" | default "kept.jsonl" }}"
    }
  }
  restart {
    max = 10
  }
}

task "counter-to-mail" {
  input {
    provider = "counter"
    config {
      interval  = "10ms"
      max_count = 2
    }
  }
  output {
    provider_path = "./mail.sh"
    config {
      to = "ops@example.com"
    }
  }
}
