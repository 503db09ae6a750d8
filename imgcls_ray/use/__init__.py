"""What finished models are used for: answers, predictions, requests, exports, the table that compares them."""
