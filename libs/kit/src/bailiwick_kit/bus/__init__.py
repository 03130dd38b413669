"""Events over RabbitMQ: outbox and relay on the way out, inbox and consumer on the way in."""
