"""Where deliveries are kept until they are whole, so that they can be taken up again."""
