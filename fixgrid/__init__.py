"""Find the train x test resolution and the linear head that classify your images best."""
